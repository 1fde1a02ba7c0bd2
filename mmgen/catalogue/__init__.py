"""A searchable collection of pictures: SQLite is the truth, FAISS over it the index."""
