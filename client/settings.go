package client

type settings struct{}

// New opens the tree's settings. It makes no request and takes no lock.
func New(o Options) (*Client, error) { panic("todo") }
