# Print what zsh offers for a line, one candidate a line: its line editor needs a terminal, so the
# functions by which a completion offers candidates print them.
compdef() { :; }
compadd() { local each; for each in "${(@P)@[-1]}"; do print -- "$each"; done; }
_describe() { local each; for each in "${(@P)3}"; do print -- "${each%%:*}"; done; }
eval "$(kakuri completion zsh)"
words=(${(s: :)1})
CURRENT=$#words
_kakuri_completion
