"""The store on PostgreSQL: the rooms of the SQLite store, on tables of its own shape.

`tables` reads what the migrations make of an empty SQLite file, `schema` makes the same of a PostgreSQL database,
`dialect` puts a statement of the rooms into PostgreSQL's words, `connection` runs it within a tenant.
"""
