#!/bin/sh
# Fetches flannel-vpc as /etc/flannel-vpc/release.env says, and installs it if it is the file of the hash there. DESTDIR names another root.
set -eu

root=${DESTDIR:-}
. "$root/etc/flannel-vpc/release.env"
case "$(uname -m)" in
  x86_64) arch=amd64 sha256=${SHA256_AMD64:-} ;;
  aarch64) arch=arm64 sha256=${SHA256_ARM64:-} ;;
  *) arch=$(uname -m) sha256= ;;
esac
if [ -z "$sha256" ]; then
  echo "flannel-vpc-install: no hash of a release for $arch is given" >&2
  exit 1
fi
url=$(printf '%s' "$URL" | sed "s/ARCH/$arch/g")
folder=$root/opt/flannel-vpc/bin
part=$folder/.flannel-vpc.part

mkdir -p "$folder" "$root/usr/local/bin"
trap 'rm -f "$part"' EXIT
curl --fail --silent --show-error --location --proto =http,https --connect-timeout 10 --max-time 600 \
  --retry 10 --retry-connrefused --retry-delay 3 --output "$part" "$url"
if ! echo "$sha256  $part" | sha256sum --check --status; then
  echo "flannel-vpc-install: $url is not the file whose SHA-256 is $sha256" >&2
  exit 1
fi
chmod 755 "$part"
mv "$part" "$folder/flannel-vpc"
ln -sfn /opt/flannel-vpc/bin/flannel-vpc "$root/usr/local/bin/flannel-vpc"
