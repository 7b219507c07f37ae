"""How many files and sockets the operating system lets this process open."""

import sys

RESERVED = 200  # for what is not a client's connection: the pool, logs, outgoing calls

if sys.platform == "win32":

    def reserve_files(wanted: int) -> int:
        """As many of ``wanted`` connections as can be."""
        return wanted

else:
    import resource

    def reserve_files(wanted: int) -> int:
        """As many of ``wanted`` connections as can be, raising this process's limit as far as it may."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < wanted + RESERVED:
            soft = wanted + RESERVED if hard == resource.RLIM_INFINITY else min(hard, wanted + RESERVED)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVED))
