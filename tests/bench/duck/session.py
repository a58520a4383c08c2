"""A DuckDB database in memory over the sources, and how long each step took in it."""

import time
from pathlib import Path

import duckdb

from clock import AS_OF, written

SOURCES = ("crm_contacts", "web_accounts", "loyalty_cards", "web_events", "orders", "tickets", "email_events")


class Session:
    def __init__(self, threads: int, memory: int, spill: Path):
        self.db = duckdb.connect()
        self.steps: list[tuple[str, float]] = []
        self.started = time.perf_counter()
        self.run(f"set threads = {threads}; set memory_limit = '{memory}MiB'; set temp_directory = '{spill}'")
        # The order of rows means nothing here, and keeping it costs time and memory.
        self.run("set preserve_insertion_order = false; set TimeZone = 'UTC'")
        self.run(f"create macro as_of() as timestamptz '{written(AS_OF)}'")

    def read(self, data: Path) -> None:
        for source in SOURCES:
            self.run(f"create view {source} as select * from read_parquet('{data}/{source}/*.parquet')")

    def run(self, sql: str) -> list[tuple]:
        return self.db.execute(sql).fetchall()

    def table(self, name: str, sql: str) -> None:
        self.run(f"create or replace temp table {name} as {sql}")

    def write(self, sql: str, file: Path) -> None:
        self.run(f"copy ({sql}) to '{file}' (format parquet)")

    def count(self, table: str) -> int:
        return self.run(f"select count(*) from {table}")[0][0]

    def step(self, name: str) -> None:
        """What was done since the last step has this name."""
        now = time.perf_counter()
        self.steps.append((name, now - self.started))
        self.started = now
