"""How glibc is to keep the memory of processes that live long; they read it at their start.

By itself it makes an arena for every few threads, and gives ever larger pieces back only to
itself: a process stays as large as its largest pages made it.
"""

MALLOC = {
    "MALLOC_ARENA_MAX": "2",  # each takes addresses of 128 MB, too, which decoders have few of
    "MALLOC_MMAP_THRESHOLD_": "1000000",  # bytes: of which the system gets back what is freed
}
