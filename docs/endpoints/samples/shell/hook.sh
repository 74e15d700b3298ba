#!/bin/bash
# An endpoint in shell, with jq: it writes down who created a Pod. socat starts it once for each connection:
#   socat TCP-LISTEN:9000,reuseaddr,fork EXEC:./hook.sh
set -u
export LC_ALL=C # lengths are bytes
length=0 user=
read -r method _
while IFS= read -r line && line=${line%$'\r'} && [ -n "$line" ]; do
  case ${line,,} in
    content-length:*) length=${line#*: } ;;
    ce-authid:*) user=${line#*: } ;;
  esac
done
unescape() { local text=${1//\\/\\\\}; printf '%b' "${text//%/\\x}"; } # %XX, as CloudEvents writes it
status='200 OK'
answer=$(head -c "$length" | jq -ec --arg user "$(unescape "$user")" '
  if .kind != "Pod" then error("want a Pod")
  elif .metadata.annotations["example.com/created-by"] then []
  else [{op: "add", path: "/metadata/annotations/example.com~1created-by", value: $user}] end') 2>/dev/null ||
  { status='400 Bad Request' answer='{"error":"want a Pod as JSON"}'; }
[ "$method" = POST ] || { status='405 Method Not Allowed' answer='{"error":"want a POST of a Pod"}'; }
[ "$method" = HEAD ] && body= || body=$answer
printf 'HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$status" "${#answer}" "$body"
