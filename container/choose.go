package container

// chooser finds the matcher that knows most of a stream's tokens.
type chooser struct {
	current *predictor // goes on from segment to segment
	other   *predictor // for trials
	segment int        // of the stream
	idle    int        // streams for which nothing is tried
	penalty int        // how many, after the next failure
	buf     []byte
	spare   []byte
}

// sampled is how much of a segment is tried: enough that levels differ.
const sampled = 128 << 10

// side returns what is to be said of a segment.
func (c *chooser) side(s *segment) []byte {
	if c.current == nil {
		c.current, c.other = newPredictor(), newPredictor()
		c.current.begin(1)
	}
	if s.history == 0 {
		c.segment = 0
		c.current.begin(c.current.id)
	}
	c.segment++
	var wrong int
	c.buf, wrong = writeSide(c.buf[:0], c.current, s, maxBlockTokens)
	if wrong <= 4+len(s.tokens)/1024 || c.segment&(c.segment-1) != 0 {
		return c.buf
	}
	if c.idle > 0 {
		c.idle--
		return c.buf
	}
	if id := c.try(s); id != c.current.id {
		var less int
		c.other.begin(id)
		c.spare, less = writeSide(c.spare[:0], c.other, s, wrong)
		if less < wrong {
			c.buf, c.spare = c.spare, c.buf
			c.current, c.other = c.other, c.current
			wrong = less
		}
	}
	if wrong > 16+len(s.tokens)/16 {
		c.penalty = min(2*c.penalty+1, 1<<10)
		c.idle = c.penalty
	}
	return c.buf
}

// try returns the matcher that is best at the first blocks of a segment.
func (c *chooser) try(s *segment) (best int) {
	part := *s
	part.blocks = nil
	end, tokens := s.history, 0
	for _, b := range s.blocks {
		if end-s.history >= sampled {
			break
		}
		part.blocks = append(part.blocks, b)
		end += b.content
		tokens += b.tokens
	}
	part.content, part.tokens = s.content[:end], s.tokens[:tokens]
	least := maxBlockTokens
	for id := range matchers {
		c.other.begin(id)
		var wrong int
		if c.spare, wrong = writeSide(c.spare[:0], c.other, &part, least-1); wrong < least {
			best, least = id, wrong
		}
	}
	return best
}
