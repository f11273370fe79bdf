/** What a run is given: model, data, supernet, budget, and which modules to train. */
package org.prunepeft.settings;
