"""The text formats: strict JSON and a schema for each document, checked before anything is built from it.

Both readers of a run, the run store and the independent one of `verify`, share this package: it defines the form of
documents, not their meaning. `python -m holdfast.formats` writes the JSON schemas in docs/formats.
"""
