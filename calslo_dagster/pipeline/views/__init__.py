"""Views: each reads what is stored and says it as a document, which every page, file and answer shows."""
