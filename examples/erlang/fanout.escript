#!/usr/bin/env escript
%% Two members, one topic: what either of them says, all who listen hear, at once, and nothing is stored.
%% For what must not be lost there are queues. Run it by run.sh.

-mode(compile).

main(_) ->
    {ok, Ann} = primer:open(#{cluster => fanout, name => ann, listen => "127.0.0.1:0"}),
    {ok, Bob} = primer:open(#{cluster => fanout, name => bob, seeds => [primer:address(Ann)]}),
    {ok, AtAnn} = primer:on(Ann, chat),
    {ok, AtBob} = primer:on(Bob, chat),

    ok = primer:broadcast(Ann, chat, "hello from ann"),
    ok = primer:broadcast(Bob, chat, "hello from bob"),

    [
        receive
            {primer, Reader, #{body := Body}} when byte_size(Body) > 0 ->
                io:format("~s heard ~s~n", [Who, Body])
        end
     || {Who, Reader} <- [{ann, AtAnn}, {bob, AtBob}], _ <- [1, 2]
    ],
    [ok = primer:close(Member) || Member <- [Bob, Ann]],
    io:format("fanout: done~n").
