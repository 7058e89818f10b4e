"""Celery: the app of `celery -A celery_app worker`, and its caller: `python celery_app.py`; see load.mjs."""
import json
import os
import time

from celery import Celery

LOAD = json.loads(os.environ["BENCH_LOAD"])
RESULTS = os.environ.get("BENCH_CELERY_RESULTS")

app = Celery("bench", broker=os.environ["LOVAGE_BROKER"], backend=RESULTS)
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    task_ignore_result=RESULTS is None,
    task_default_queue=LOAD["queue"],
    # Many messages held for each process, as Celery's own guide advises for short tasks.
    worker_prefetch_multiplier=128,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
)


@app.task(name="bench.add")
def add(x, y):
    os.write(1, b"\x01")  # see done() of load.mjs
    return x + y


if __name__ == "__main__":
    with app.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection()
    started = time.perf_counter()
    for n in range(LOAD["tasks"]):
        add.delay(n, 1)
    print(json.dumps({"perSecond": LOAD["tasks"] / (time.perf_counter() - started)}))
