package org.prunepeft.data.batch;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.prunepeft.data.DataException;

/** Tokenizers in class loaders of their own, which the thread's context class loader is not. */
final class IsolatedTokenizer implements Runnable {
  IsolatedTokenizer() {}

  @Override
  public void run() {
    try (Tokenizer tokenizer = Tokenizer.of(CharacterTokenizer.json(), 16)) {
      System.out.println(Arrays.toString(tokenizer.encode("ab", null).ids()));
    } catch (DataException e) {
      System.out.println(e.getMessage());
    }
  }

  /** Prints what a text is in tokens, or why not: in one class loader, then in another. */
  public static void main(String[] arguments) throws Exception {
    List<URL> jars = new ArrayList<>();
    for (String jar : System.getProperty("java.class.path").split(File.pathSeparator)) {
      jars.add(Path.of(jar).toUri().toURL());
    }
    ClassLoader context = ClassLoader.getPlatformClassLoader();
    Thread.currentThread().setContextClassLoader(context);
    List<ClassLoader> kept = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      ClassLoader own = new URLClassLoader(jars.toArray(URL[]::new), context);
      kept.add(own);
      var constructor = own.loadClass(IsolatedTokenizer.class.getName()).getDeclaredConstructor();
      constructor.setAccessible(true);
      ((Runnable) constructor.newInstance()).run();
      System.out.println(Thread.currentThread().getContextClassLoader() == kept.get(0).getParent());
    }
  }
}
