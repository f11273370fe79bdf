package org.prunepeft.peft;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IsolatedModuleTypesTest {
  @Test
  void aDamagedServiceOfAnotherJarDoesNotMatter(@TempDir Path jar) throws Exception {
    Path services = Files.createDirectories(jar.resolve("META-INF/services"));
    Files.writeString(services.resolve(ModuleType.class.getName()), "org.example.Absent\n");
    List<URL> path = new ArrayList<>(List.of(jar.toUri().toURL()));
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      path.add(Path.of(entry).toUri().toURL());
    }
    try (URLClassLoader loader =
        new URLClassLoader(path.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
      Class<?> types = loader.loadClass(ModuleTypes.class.getName());
      Object vera = types.getMethod("byName", String.class).invoke(null, "vera");
      assertEquals("org.prunepeft.peft.type.Vera", vera.getClass().getName());
    }
  }
}
