/** What a run is given: model, data, supernet, budget, strategy, and which modules to train. */
package org.prunepeft.settings;
