# Sourced by scripts that run tests: goes to the project's root, and calls Maven there without the native tests.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

maven() { # module, what Maven is to do with it and with those that it needs
  mvn -q -B -Dprunepeft.cuda="${PRUNEPEFT_CUDA:-OFF}" -DskipNativeTests=true -pl "java/$1" -am "${@:2}"
}

run_tests() { # module, test classes, further arguments of Maven
  maven "$1" test "-Dtest=$2" -Dsurefire.failIfNoSpecifiedTests=false "${@:3}"
}

build_tests() { # of all modules, each with a file target/test-classpath
  maven cli test-compile dependency:build-classpath \
    -Dmdep.includeScope=test -Dmdep.outputFile=target/test-classpath -Dmdep.regenerateFile=true
}
