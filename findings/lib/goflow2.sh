# Sourced by the findings about goflow2: goflow2 2.2.6 (a Go module) and softflowd 1.1.0 (Debian 12) in the folder $work.
GOBIN="$work/bin" go install github.com/netsampler/goflow2/v2/cmd/goflow2@v2.2.6 || exit 2
lib="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
if [ "${1:-}" = softflowd ]; then
  . "$lib/debian.sh"
  debian softflowd=1.1.0-1+b1 libpcap0.8
fi
export PYTHONPATH="$lib" PYTHONDONTWRITEBYTECODE=1 PATH="$work/bin:$PATH"
cd "$work" || exit 2
