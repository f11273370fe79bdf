# Sanitizers for everything that is compiled after it, by PRUNEPEFT_SANITIZE; the presets of native/CMakePresets.json set it, and
# with them the sanitizers' options when tests run. A finding ends its program.

add_compile_options(-fsanitize=${PRUNEPEFT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
add_link_options(-fsanitize=${PRUNEPEFT_SANITIZE})
