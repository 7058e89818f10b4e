"""A Python application that calls tasks of Lovage workers."""

import os

from celery import Celery
from kombu import Queue

app = Celery('caller', broker=os.environ['LOVAGE_BROKER'])
app.conf.update(
    # Lovage declares its queues itself; declared by Celery's rules they would be refused (406).
    task_queues=[Queue('lovage', no_declare=True)],
    task_default_queue='lovage',
    # Off by default: without it a call may be lost on its way to the broker, and nobody is told.
    broker_transport_options={'confirm_publish': True},
)
