"""The desk page: an authority checks its extract in a browser, by the very rules. `python -m desk_page.build` makes it."""
