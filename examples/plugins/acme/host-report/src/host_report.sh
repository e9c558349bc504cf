#!/bin/sh
# JSON-RPC in shell: the host promises one message a line, compact, members in the order jsonrpc, id, method, params.
set -u
free_kib() { df -Pk . | awk 'NR == 2 { print $4 }'; }
while IFS= read -r line; do
    id=$(printf '%s\n' "$line" | sed -n 's/^{"jsonrpc":"2.0","id":\([0-9]*\),.*/\1/p')
    method=$(printf '%s\n' "$line" | sed -n 's/^{"jsonrpc":"2.0","id":[0-9]*,"method":"\([a-z_]*\)".*/\1/p')
    case $method in
        initialize) body='"result":{"protocol":1}' ;;
        disk | stage) body="\"result\":{\"free_kib\":$(free_kib)}" ;;
        kernel) body="\"result\":\"$(uname -s)\"" ;;
        shutdown) printf '{"jsonrpc":"2.0","id":%s,"result":null}\n' "$id"; exit 0 ;;
        *) body='"error":{"code":-32601,"message":"there are disk, kernel and stage"}' ;;
    esac
    printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$body"
done
