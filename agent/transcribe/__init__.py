"""Speech to text on the box: engines behind one small protocol, and the model folders they load from."""
