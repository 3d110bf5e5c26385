# Print what fish offers for a line, one candidate a line.
kakuri completion fish | source
complete -C "$argv[1]"
