"""Evaluates each line of standard input as an expression of Python and answers with a line of JSON: the tests' hand in Python."""

import json
import sys
from datetime import date, datetime, timedelta, timezone  # noqa: F401

from celery import Celery, chain  # noqa: F401
from kombu import Queue  # noqa: F401

from caller import app


def send(task, *args, **kwargs):
    """Calls a task, with options before a double underscore: send('a', 1, x=2, expires__=3). Gives its id."""
    options = {key[:-2]: kwargs.pop(key) for key in list(kwargs) if key.endswith('__')}
    return app.send_task(task, args=args, kwargs=kwargs, **options).id


def call(task, *args):
    """A signature, for canvases."""
    return app.signature(task, args=args)


def take(queue):
    """Takes one message from a queue: [headers, body], or None if there is none."""
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get(queue, no_ack=True)
        return message and [message.headers, json.loads(message.body)]


for line in sys.stdin:
    try:
        answer = {'value': eval(line)}
    except Exception as error:
        answer = {'error': f'{type(error).__name__}: {error}'}
    print(json.dumps(answer, default=str), flush=True)
