# For scripts that run Java, by `source`.

# find_java NAME: sets java to the program of JAVA_HOME, or where that is not set to the one on the path, and java_file to the file that it
# is. Ends the script NAME where it is not there, or older than 17, which its folder's file `release` says, if it has one: to ask Java itself
# would take a tenth of a second.
find_java() {
  local release
  java=java
  if [ -n "${JAVA_HOME:-}" ]; then java=$JAVA_HOME/bin/java; fi
  if ! command -v "$java" >/dev/null 2>&1; then
    if [ -n "${JAVA_HOME:-}" ]; then
      echo "$1: '$java' was not found; JAVA_HOME must name a JDK, 17 or newer, or be unset" >&2
    else
      echo "$1: 'java' was not found; install JDK 17 or newer (apt-get install default-jdk-headless)" >&2
    fi
    exit 1
  fi
  java_file=$(readlink -f "$(command -v "$java")")
  release=${java_file%/bin/java}/release
  if [ -f "$release" ] && [[ $(<"$release") =~ JAVA_VERSION=\"([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -lt 17 ]; then
    echo "$1: $java is Java ${BASH_REMATCH[1]}; it takes 17 or newer, which JAVA_HOME may name" >&2
    exit 1
  fi
}
