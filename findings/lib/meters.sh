# Sourced by the findings that give one capture to several flow meters of Debian 12: softflowd, nfpcapd, argus.
lib="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$lib/debian.sh"
debian softflowd=1.1.0-1+b1 nfdump=1.7.1-2+deb12u1 argus-server=2:3.0.8.2-2.2 argus-client=1:3.0.8.2-6.1+b3 libpcap0.8 \
  librrd8 libgeoip1 libmariadb3 libwrap0 libtirpc3
export PYTHONPATH="$lib" PYTHONDONTWRITEBYTECODE=1
cd "$work" || exit 2
