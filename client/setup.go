package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Offer is a product of a repository, as the release that an install would take.
type Offer struct {
	manifest.Listing
	Installed string // version in the tree; "" for none
}

// Offers lists the products that the repository has for the client's channel
// and platform, by name. The client needs no product for that.
func (c *Client) Offers(ctx context.Context) ([]Offer, error) {
	r, err := c.connect(false)
	if err != nil {
		return nil, err
	}
	c.emit(Event{Phase: Checking})
	if _, err := r.targets(ctx, ""); err != nil {
		return nil, err
	}
	installed, err := Products(c.o.Dir)
	if err != nil {
		return nil, err
	}
	var offers []Offer
	for _, product := range r.trust.Products() {
		list, err := r.trust.Targets(ctx, product)
		if err != nil {
			return nil, err
		}
		all, err := listings(product, list)
		if err != nil {
			return nil, err
		}
		choice, err := pick(all, lifecycle.Wish{Channel: c.settings.Channel, Platform: c.platform(),
			Unstable: c.settings.Unstable, Install: c.installID()})
		if errors.Is(err, ErrNoRelease) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", product, err)
		}
		o := Offer{Listing: *choice.Head}
		if i := slices.IndexFunc(installed, func(r manifest.Release) bool { return r.Product == product }); i >= 0 {
			o.Installed = installed[i].Version
		}
		offers = append(offers, o)
	}
	return offers, nil
}

// Needed returns the products that are wanted and all that they depend on,
// dependencies first. Without names it is what is installed, and what is
// essential. The error lists all that is not offered, and does not keep the
// others from being returned.
func Needed(offers []Offer, products ...string) ([]Offer, error) {
	byName := map[string]Offer{}
	for _, o := range offers {
		byName[o.Product] = o
	}
	queue := slices.Clone(products)
	if len(products) == 0 {
		for _, o := range offers {
			if o.Installed != "" || o.Essential {
				queue = append(queue, o.Product)
			}
		}
	}
	var need []manifest.Release
	var missing []string
	seen := map[string]bool{}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		o, ok := byName[name]
		if !ok {
			missing = append(missing, name)
			continue
		}
		need = append(need, manifest.Release{Product: name, Depends: o.Depends})
		for _, d := range o.Depends {
			queue = append(queue, d.Name)
		}
	}
	var ordered []Offer
	for _, r := range dependenciesFirst(need) {
		ordered = append(ordered, byName[r.Product])
	}
	if len(missing) > 0 {
		return ordered, fmt.Errorf("the repository does not offer %s: %w", strings.Join(missing, ", "), ErrNoRelease)
	}
	return ordered, nil
}
