kakuri completion fish | source
