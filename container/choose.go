package container

// chooser finds the matcher that knows most of a stream's tokens.
type chooser struct {
	current *predictor // goes on from segment to segment
	other   *predictor // for trials
	segment int        // of the stream
	idle    int        // streams for which nothing is tried
	penalty int        // how many that were, after the last failure
	buf     []byte
	spare   []byte
}

// sampled is how much of a segment is tried: enough that levels differ.
const sampled = 128 << 10

// unlimited is more corrections than a segment can have.
const unlimited = 4 * maxBlockTokens

// side returns what is to be said of a segment. The matcher of the segment
// before is good unless it errs; then all are tried, but for the segments 1,
// 2, 4, 8 … of a stream only, and not at all for a while after compressors
// that none of them is like.
func (c *chooser) side(s *segment) []byte {
	if c.current == nil {
		c.current, c.other = newPredictor(), newPredictor()
		c.current.begin(1)
	}
	if s.history == 0 {
		c.segment = 0
		c.current.begin(c.current.id)
		c.idle = max(0, c.idle-1)
	}
	c.segment++
	most := unlimited
	if c.segment&(c.segment-1) == 0 && c.idle == 0 {
		most = 4 + len(s.tokens)/1024
	}
	var wrong int
	if c.buf, wrong = writeSide(c.buf[:0], c.current, s, most); wrong <= most {
		return c.buf
	}
	c.current.begin(c.try(s))
	if c.buf, wrong = writeSide(c.buf[:0], c.current, s, unlimited); wrong > 16+len(s.tokens)/16 {
		c.penalty = min(2*c.penalty+1, 1<<10)
		c.idle = c.penalty
	} else {
		c.penalty = 0
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
	least := unlimited
	for id := range matchers {
		c.other.begin(id)
		var wrong int
		if c.spare, wrong = writeSide(c.spare[:0], c.other, &part, least-1); wrong < least {
			best, least = id, wrong
		}
		if least == 0 {
			break
		}
	}
	return best
}
