#!/usr/bin/env bash
# Make the keys of SROS 2 for a graph: one CA, and the enclaves /exoactor/operator, /exoactor/controller and
# /exoactor/stages with signed governance and permissions. usage: scripts/keystore.sh FOLDER [DAYS]
# The layout is that of `ros2 security create_keystore`, whose tools read it.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: scripts/keystore.sh FOLDER [DAYS]" >&2; exit 2; }
command -v openssl >/dev/null || { echo "keystore: openssl is not installed." >&2; exit 3; }
store=$1 days=${2:-365} config=$(cd "$(dirname "$0")/../src/exoactor/config" && pwd)
[ ! -e "$store/private/ca.key.pem" ] || { echo "keystore: $store has keys already: name another folder." >&2; exit 2; }
umask 077
mkdir -p "$store/public" "$store/private" "$store/enclaves"
ca=$store/public/ca.cert.pem key=$store/private/ca.key.pem
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -days "$days" -subj /CN=exoactorCA \
  -keyout "$key" -out "$ca" 2>/dev/null
sign() { openssl smime -sign -text -in "$1" -out "$2" -signer "$ca" -inkey "$key"; }
sign "$config/security_governance.xml" "$store/enclaves/governance.p7s"
from=$(date -u +%Y-%m-%dT%H:%M:%S) until=$(date -u -d "+$days days" +%Y-%m-%dT%H:%M:%S)
for name in operator controller stages; do
  enclave=$store/enclaves/exoactor/$name
  mkdir -p "$enclave"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -subj "/CN=\/exoactor\/$name" \
    -keyout "$enclave/key.pem" -out "$enclave/request.pem" 2>/dev/null
  openssl x509 -req -in "$enclave/request.pem" -CA "$ca" -CAkey "$key" -CAcreateserial -days "$days" -sha256 \
    -out "$enclave/cert.pem" 2>/dev/null
  rm "$enclave/request.pem"
  sed "s/NOT_BEFORE/$from/; s/NOT_AFTER/$until/" "$config/security_permissions.xml" > "$enclave/permissions.xml"
  sign "$enclave/permissions.xml" "$enclave/permissions.p7s"
  cp "$ca" "$enclave/identity_ca.cert.pem"
  cp "$ca" "$enclave/permissions_ca.cert.pem"
  cp "$store/enclaves/governance.p7s" "$enclave/governance.p7s"
done
echo "Keys for $days days: $store. $key signs more of them: keep it off the robot."
