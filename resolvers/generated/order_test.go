package generated

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/99designs/gqlgen/graphql"
)

func responseContext(t *testing.T) context.Context {
	t.Helper()
	return graphql.WithResponseContext(t.Context(), graphql.DefaultErrorPresenter, func(context.Context, any) error { return errors.New("it panicked") })
}

func TestMarshalInOrder(t *testing.T) {
	ctx := responseContext(t)
	var paths []string
	list := marshalInOrder(ctx, 3, func(ctx context.Context, i int) graphql.Marshaler {
		paths = append(paths, graphql.GetPath(ctx).String())
		return graphql.MarshalInt(i * i)
	})
	var out bytes.Buffer
	list.MarshalGQL(&out)
	if out.String() != "[0,1,4]" || len(graphql.GetErrors(ctx)) > 0 {
		t.Errorf("got %s, %v", &out, graphql.GetErrors(ctx))
	}
	if len(paths) != 3 || paths[2] != "[2]" {
		t.Errorf("paths are %q", paths)
	}
}

func TestMarshalInOrderWithAPanic(t *testing.T) {
	ctx, made := responseContext(t), 0
	list := marshalInOrder(ctx, 3, func(_ context.Context, i int) graphql.Marshaler {
		if made++; i == 1 {
			panic("boom")
		}
		return graphql.MarshalInt(i)
	})
	errs := graphql.GetErrors(ctx)
	if list != nil || made != 3 || len(errs) != 1 || errs[0].Path.String() != "[1]" {
		t.Errorf("got %v after %d items, with %v", list, made, errs)
	}
}

func TestMarshalInOrderEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(responseContext(t))
	made := 0
	list := marshalInOrder(ctx, 3, func(_ context.Context, i int) graphql.Marshaler {
		made++
		cancel()
		return graphql.MarshalInt(i)
	})
	if list != nil || made != 1 || len(graphql.GetErrors(ctx)) != 1 {
		t.Errorf("got %v after %d items, with %v", list, made, graphql.GetErrors(ctx))
	}
}
