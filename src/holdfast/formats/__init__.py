"""What the text formats may hold: strict JSON, and one schema for each document, checked before anything is built.

Both readers of a run share this, the run store and the second path of `verify`: it says what a document may look like,
and nothing of what it means. The schemas are shipped as JSON schemas in docs/formats (`python -m holdfast.formats`).
"""
