"""dlt's own `rest_api` source, loading the same shop's orders into PostgreSQL. Runs in .venv-bench.

python benchmarks/peer_dlt.py SHOP_URL DATABASE_URL WORK_DIR
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

import dlt
from dlt.sources.rest_api import rest_api_source


def main(shop_url: str, database_url: str, work_dir: str) -> None:
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{shop_url}/wp-json/wc/v3/",
                "paginator": {"type": "page_number", "base_page": 1, "total_path": None, "stop_after_empty_page": True},
            },
            "resources": [
                {
                    "name": "orders",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": "orders",
                        "params": {
                            "per_page": 100,
                            "orderby": "id",
                            "order": "asc",
                            "modified_after": {
                                "type": "incremental",
                                "cursor_path": "date_modified_gmt",
                                "initial_value": "2020-01-01T00:00:00",
                            },
                        },
                        "data_selector": "$",
                    },
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=work_dir, destination=dlt.destinations.postgres(database_url), dataset_name="peer"
    )
    started = time.perf_counter()
    pipeline.run(source)
    seconds = time.perf_counter() - started
    with pipeline.sql_client() as client, client.execute_query("SELECT count(*) FROM orders") as cursor:
        stored = cursor.fetchone()[0]
    with (
        pipeline.sql_client() as client,
        client.execute_query(
            "SELECT count(DISTINCT table_name), count(*) FROM information_schema.columns WHERE table_schema = 'peer' "
            "AND table_name NOT LIKE '\\_dlt%'"
        ) as cursor,
    ):
        tables, columns = cursor.fetchone()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "orders": stored, "peak_mb": peak, "tables": tables, "columns": columns}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
