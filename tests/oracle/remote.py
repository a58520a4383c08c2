"""Count the rows of a Delta table in an object store: remote.py URL. The environment says how the store is reached."""

import os
import sys

from deltalake import DeltaTable, QueryBuilder

options = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "AZURE_"))}
if "AZURE_STORAGE_USE_EMULATOR" in options:
    options["allow_http"] = "true"
table = DeltaTable(sys.argv[1], storage_options=options)
rows = QueryBuilder().register("t", table).execute("select * from t").read_all()
print(rows.num_rows)
