#!/usr/bin/env python3
"""Packs the public reference data that `cohorte demo` draws from. Origins and licences: LICENCES.md.

    python3 assets/pack.py REFERENCE_FOLDER

reads `given_names/insee_prenoms_1900_2021.csv.gz` (name,sex,year,n), `postal/communes_cog2026.json.gz` and
`postal/codes_postaux.csv.gz`, and writes beside this script:

    given_names.csv.gz   sex,name,n1930,…,n2000: births per decade; the commonest of every decade and sex
    communes.csv.gz      name,postcodes (joined by spaces),population: communes of 2,500 people and more; the
                         arrondissements of Paris, Lyon and Marseille stand for themselves

Same input, same bytes.
"""

import csv
import gzip
import io
import json
import pathlib
import sys
from collections import defaultdict

HERE = pathlib.Path(__file__).parent
DECADES = range(1930, 2010, 10)
NAMES_PER_DECADE = 140
LEAST_POPULATION = 2500
# Communes whose postcodes belong to arrondissements: (prefix of the arrondissements' codes, population shared equally).
CUT_UP = {"75056": "751", "69123": "6938", "13055": "132"}


def read(path):
    return io.TextIOWrapper(gzip.open(path), encoding="utf-8", newline="")


def write(name, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with open(HERE / name, "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        packed.write(text.getvalue().encode())


def given_names(reference):
    births = defaultdict(lambda: [0] * len(DECADES))
    with read(reference / "given_names/insee_prenoms_1900_2021.csv.gz") as lines:
        for row in csv.DictReader(lines):
            decade = (int(row["year"]) - DECADES.start) // 10
            if int(row["year"]) >= DECADES.start and decade < len(DECADES) and len(row["name"]) > 1:
                births[row["sex"], row["name"]][decade] += int(row["n"])
    kept = set()
    for sex in "FM":
        for decade in range(len(DECADES)):
            of_sex = sorted((key for key in births if key[0] == sex), key=lambda key: (-births[key][decade], key))
            kept.update(of_sex[:NAMES_PER_DECADE])
    return [[*key, *births[key]] for key in sorted(kept)]


def communes(reference):
    with read(reference / "postal/communes_cog2026.json.gz") as lines:
        found = [c for c in json.load(lines) if c["type"] == "commune-actuelle" and c["zone"] == "metro"]
    with read(reference / "postal/codes_postaux.csv.gz") as lines:
        postal = list(csv.DictReader(lines))
    rows = []
    for commune in found:
        population = commune.get("population", 0)
        if commune["code"] in CUT_UP:
            parts = [p for p in postal if p["codeCommune"].startswith(CUT_UP[commune["code"]])]
            codes = sorted({(p["codePostal"]) for p in parts})
            rows += [[commune["nom"], code, population // len(codes)] for code in codes]
        elif population >= LEAST_POPULATION and commune.get("codesPostaux"):
            rows.append([commune["nom"], " ".join(commune["codesPostaux"]), population])
    return sorted(rows)


def main():
    reference = pathlib.Path(sys.argv[1])
    write("given_names.csv.gz", given_names(reference))
    write("communes.csv.gz", communes(reference))


if __name__ == "__main__":
    main()
