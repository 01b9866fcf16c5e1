"""The verdicts as a table, as claims.json and claims.md, and as the page claims.html."""
