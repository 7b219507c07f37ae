"""The filter language: ``(tag:home OR project:"Garden") AND NOT status:waiting AND due < today+7d``.

A text becomes a tree of conditions (``tree``) by a grammar (``grammar``) and a table of fields (``fields``): what is
not in the table is an error with its position. docs/filters.md describes the language.
"""
