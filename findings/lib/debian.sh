# Sourced by the findings about programs of Debian 12 (amd64): `debian PACKAGE=VERSION …` unpacks them in the folder $work and
# puts them on PATH, without installing anything. What they need beside must be named too.
debian() {
  (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$@" && for deb in *.deb; do
    dpkg -x "$deb" .; done) >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; exit 2; }
  export LD_LIBRARY_PATH="$work/usr/lib/$(uname -m)-linux-gnu" PATH="$work/usr/bin:$work/usr/sbin:$PATH"
}
