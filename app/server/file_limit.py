"""The operating system's limit on the open files and sockets of this process."""

import sys

RESERVED_FILES = 200  # files other than clients' connections: the pool, logs, outgoing calls

if sys.platform == "win32":

    def reserve_files(wanted: int) -> int:
        """Returns how many connections can be open, at most ``wanted``."""
        return wanted

else:
    import resource

    def reserve_files(wanted: int) -> int:
        """Returns how many connections can be open, at most ``wanted``. Increases the process limit if allowed."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < wanted + RESERVED_FILES:
            soft = wanted + RESERVED_FILES if hard == resource.RLIM_INFINITY else min(hard, wanted + RESERVED_FILES)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVED_FILES))
