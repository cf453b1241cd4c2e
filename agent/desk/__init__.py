"""The desk process: the REST interface that people and telephones press buttons through."""
