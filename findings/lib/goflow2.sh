# Sourced by the findings about goflow2: goflow2 2.2.6 (a Go module) and softflowd 1.1.0 (Debian 12) in the folder $work.
GOBIN="$work/bin" go install github.com/netsampler/goflow2/v2/cmd/goflow2@v2.2.6 || exit 2
if [ "${1:-}" = softflowd ]; then
  (cd "$work" && apt-get -q -o APT::Sandbox::User=root download softflowd=1.1.0-1+b1 libpcap0.8 && for deb in *.deb; do
    dpkg -x "$deb" .; done) >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; exit 2; }
  export LD_LIBRARY_PATH="$work/usr/lib/$(uname -m)-linux-gnu"
fi
export PYTHONPATH="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)" PYTHONDONTWRITEBYTECODE=1 PATH="$work/bin:$work/usr/sbin:$PATH"
cd "$work" || exit 2
