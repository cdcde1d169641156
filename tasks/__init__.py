"""Which single steps may Prefect cache, retry, time out and show?  Each calls one port."""
