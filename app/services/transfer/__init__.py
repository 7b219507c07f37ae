"""What comes in and goes out: export pages, the formats of files, and the writes of an import.

Nothing here waits for a client: ``app.jobs.exporting`` and ``app.jobs.importing`` do, between one short transaction and
the next.
"""
