"""moto's server, in which a conditional write is one step, as it is in S3.

moto looks whether a condition holds and writes afterwards; requests run side by side, so that of
two that create one object at the same time both may be told that they did.
"""

import functools
import threading

from moto.s3.responses import S3Response
from moto.server import main

ONE_AT_A_TIME = threading.RLock()


def one_at_a_time(method):
    @functools.wraps(method)
    def locked(*arguments, **options):
        with ONE_AT_A_TIME:
            return method(*arguments, **options)

    return locked


S3Response.put_object = one_at_a_time(S3Response.put_object)
main(["-H", "127.0.0.1", "-p", "0"])
