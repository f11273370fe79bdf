package org.prunepeft.kernels;

import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.annotation.Cast;
import org.bytedeco.javacpp.annotation.Name;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;

/**
 * Deletes what JavaCPP leaves of a native object that calls Java. It makes a C++ class of each Java
 * class that overrides virtual functions; an object of it has a weak JNI reference to its Java
 * object, which nobody deletes when the native object goes: some ten bytes for each, and a place
 * that each garbage collection looks at.
 */
@Properties(value = @Platform(value = "linux", library = "jniCallbackReferences"))
public final class CallbackReferences {
  /** JNI's JNIWeakGlobalRefType. */
  private static final int WEAK = 3;

  /** Of the reference in the object, behind the pointer to its virtual functions. */
  private static final int PLACE = 1;

  private static final boolean LOADED = load();

  private CallbackReferences() {}

  private static boolean load() {
    if (!Loader.getPlatform().startsWith("linux")) {
      return false;
    }
    NativeLibraries.load(CallbackReferences.class);
    return true;
  }

  /**
   * Deletes a native object's reference to its Java object. Its calls go to another Java object of
   * the same class from then on.
   *
   * @param address of the native object, which is still there; its C++ class has one base, without
   *     data
   * @param heir address of the other's native object, which outlives this one
   * @return whether there was a reference of its own; false on other systems
   */
  public static boolean delete(long address, long heir) {
    if (!LOADED) {
      return false;
    }
    LongPointer object = new LongPointer(new Address(address));
    long reference = object.get(PLACE);
    long common = new LongPointer(new Address(heir)).get(PLACE);
    if (reference == common || !isWeak(reference) || !isWeak(common)) {
      return false;
    }
    object.put(PLACE, common);
    deleteWeak(reference);
    return true;
  }

  private static boolean isWeak(long reference) {
    return reference != 0 && typeOf(reference) == WEAK;
  }

  private static final class Address extends Pointer {
    Address(long address) {
      this.address = address;
    }
  }

  @Name("env->GetObjectRefType")
  @Cast("int")
  private static native int typeOf(@Cast("jobject") long reference);

  @Name("env->DeleteWeakGlobalRef")
  private static native void deleteWeak(@Cast("jweak") long reference);
}
