"""For all tests."""

import signal

# A shell's background job ignores Ctrl-C, and so would the processes whose answer to it is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
