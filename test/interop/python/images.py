"""A Python worker whose tasks Lovage calls."""

import os
from datetime import datetime

from celery import Celery
from kombu import Queue

app = Celery('images', broker=os.environ['LOVAGE_BROKER'])
app.conf.update(
    task_default_queue='images',
    task_queues=[
        Queue('images'),
        Queue('images.urgent', max_priority=10),
        Queue('lovage', no_declare=True),
    ],
    broker_transport_options={'confirm_publish': True},
)


def instant(value):
    """A Date of JavaScript: kombu 5.3 and newer make it a datetime, older ones leave the tag as it is."""
    return datetime.fromisoformat(value['__value__']) if isinstance(value, dict) else value


@app.task(name='images.resize', bind=True, ignore_result=True)
def resize(self, path, width=100, *, taken=None):
    answer = {
        'path': path,
        'half': width / 2,
        'taken': taken and instant(taken).isoformat(),
        'priority': self.request.delivery_info['priority'],
    }
    # Lovage's tables hold what Lovage's workers ran. The way back is another task.
    app.send_task('interop.resized', args=[self.request.id, answer], queue='lovage')
