"""A made-up life for ``todo seed``: words to make it of, and how they become projects, tasks and comments."""
