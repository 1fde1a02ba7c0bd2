"""Tables of products: CSV, TSV, JSONL, Parquet and XLSX in; manifests out."""
