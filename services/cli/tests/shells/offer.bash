# Print what bash offers for a line, one candidate a line.
eval "$(kakuri completion bash)"
read -ra COMP_WORDS <<< "$1"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_kakuri_completion kakuri
printf '%s\n' "${COMPREPLY[@]}"
